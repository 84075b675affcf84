# src/text: see ARCHITECTURE in CONTRIBUTING.md

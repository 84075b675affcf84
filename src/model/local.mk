# src/model: see ARCHITECTURE in CONTRIBUTING.md

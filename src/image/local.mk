# src/image: see ARCHITECTURE in CONTRIBUTING.md

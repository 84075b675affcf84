# src/engine: see ARCHITECTURE in CONTRIBUTING.md

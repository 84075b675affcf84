# examples: see ARCHITECTURE in CONTRIBUTING.md

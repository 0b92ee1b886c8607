"""What is handed over: index page, one PDF and JSON per patient, a spreadsheet."""

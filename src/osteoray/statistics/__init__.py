"""Agreement, precision and image quality: tables in, tables out."""

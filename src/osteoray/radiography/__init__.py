"""How an X-ray forms: attenuation, ray integrals, and the fast renderer used for searching."""

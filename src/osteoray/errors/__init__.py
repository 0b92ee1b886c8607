"""How a failure is told: one line, one reason code, three verdicts."""

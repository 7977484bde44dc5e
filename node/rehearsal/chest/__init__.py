"""An analytic chest: which tissue lies at which point of the patient."""

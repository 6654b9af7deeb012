"""Running one trial: what is asked, what an attempt does, why it failed. No Ray, no MLflow."""

"""What people see of a run: progress, status, summary, contact sheet and tables."""

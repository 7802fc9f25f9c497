"""What a plan and a delivery of any size would take, worked out from measured tasks."""

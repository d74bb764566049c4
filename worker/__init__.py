"""The worker: claims trials, trains them, reports every epoch."""

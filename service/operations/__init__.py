"""What can happen: one public function, one transaction."""

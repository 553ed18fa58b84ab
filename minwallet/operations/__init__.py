"""What an operator asks of the wallet: requests, their shapes, and the services that carry them out."""

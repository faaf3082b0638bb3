"""What is to be known of trained models beside their bounds, and of the theory behind them."""

__all__: list[str] = []

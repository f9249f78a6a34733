"""Live market data for WebSocket clients: requests in, JSON out, a bounded queue each."""

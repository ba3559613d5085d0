// Placeholder until the first file of PGWire lands.

// Placeholder until the first file of PGChannel lands.

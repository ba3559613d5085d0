// Placeholder until the first file of SessionCore lands.

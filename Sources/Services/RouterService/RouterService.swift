// Placeholder until the first file of RouterService lands.

// Placeholder until the first file of ServerConfig lands.

// Placeholder until the first file of ManagerService lands.

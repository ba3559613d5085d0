// Placeholder until the first file of CommitCore lands.

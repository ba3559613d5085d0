// Placeholder until the first file of PoolCore lands.

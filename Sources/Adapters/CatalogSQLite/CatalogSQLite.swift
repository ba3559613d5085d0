// Placeholder until the first file of CatalogSQLite lands.

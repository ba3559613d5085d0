// Placeholder until the first file of SQLSyntax lands.

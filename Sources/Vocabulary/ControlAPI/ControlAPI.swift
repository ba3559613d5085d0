// Placeholder until the first file of ControlAPI lands.

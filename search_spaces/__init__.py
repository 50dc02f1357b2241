"""The search spaces that ship with sweeper, as TOML files beside this one."""

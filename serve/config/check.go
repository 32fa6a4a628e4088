package config

func (c *Config) check(o Options, problems *Problems) {}

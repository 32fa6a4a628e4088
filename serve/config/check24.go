package config

// check24 adds what is wrong with a configuration of 2.4 as a whole.
func (c *Config) check24(problems *Problems) {}

// withDefaults gives the tree with the default services in it.
func (c *Config) withDefaults() *node24 { return c.root24 }

package config

import "bufio"

func (c *Config) print24(w *bufio.Writer, o PrintOptions) {}

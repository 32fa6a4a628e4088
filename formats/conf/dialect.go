package conf

func (ld *loader) detect(name, data string) Dialect { return V23 }

package namespace

// Match tells whether a name matches a pattern of LIST, in which "*" stands for anything and "%" for anything without
// the separator (RFC 9051 section 6.3.9). It takes time proportional to the product of both lengths at most, whatever
// the pattern is.
func Match(pattern, name string, separator byte) bool {
	reach := start(pattern)
	for i := range len(name) {
		reach = step(pattern, reach, name[i], separator)
	}
	return reach[len(pattern)]
}

// MatchAbove tells whether some name below this one could match: a parent that has children to be listed.
func MatchAbove(pattern, name string, separator byte) bool {
	reach := start(pattern)
	for i := range len(name) {
		reach = step(pattern, reach, name[i], separator)
	}
	reach = step(pattern, reach, separator, separator)
	for _, ok := range reach {
		if ok {
			return true
		}
	}
	return false
}

// reach[i] says that the name so far can be read by the first i bytes of the pattern.
func start(pattern string) []bool {
	reach := make([]bool, len(pattern)+1)
	reach[0] = true
	skipStars(pattern, reach)
	return reach
}

func skipStars(pattern string, reach []bool) {
	for i := range len(pattern) {
		if reach[i] && (pattern[i] == '*' || pattern[i] == '%') {
			reach[i+1] = true
		}
	}
}

func step(pattern string, reach []bool, b, separator byte) []bool {
	next := make([]bool, len(reach))
	for i := range len(pattern) {
		if !reach[i] {
			continue
		}
		switch {
		case pattern[i] == '*', pattern[i] == '%' && b != separator:
			next[i] = true
		case pattern[i] == b && pattern[i] != '%':
			next[i+1] = true
		}
	}
	skipStars(pattern, next)
	return next
}

package conf

import "iter"

// Node is a line in its place in the whole configuration: includes are
// resolved, and a section may be opened in one file and closed in another. The
// Line is shared by all nodes of a file that is included twice.
type Node struct {
	*Line
	File     *File
	Parent   *Node
	Children []*Node
	Close    *Line    // of a section: the line that closes it, nil if none does
	Err      *Problem // what is wrong here, or nil
	Files    []*File  // of an Include: what it read; the nodes follow as siblings
}

// Config is a main file with everything that it includes.
type Config struct {
	Dialect  Dialect
	Root     *Node      // kind Root; its Children are the top level in reading order
	Main     *File      //
	Files    []*File    // every file once, in the order of first reading
	Problems []*Problem // everything found, in reading order
}

// All gives every node below n in reading order, a section before its content.
func (n *Node) All() iter.Seq[*Node] {
	return func(yield func(*Node) bool) { n.walk(yield) }
}

func (n *Node) walk(yield func(*Node) bool) bool {
	for _, c := range n.Children {
		if !yield(c) || !c.walk(yield) {
			return false
		}
	}
	return true
}

// Above gives the comment that stands directly above the node in its file, or
// nil.
func (n *Node) Above() *Line { return n.File.Above(n.Line) }

// First gives the first problem that would have stopped Dovecot, or nil.
func (c *Config) First() *Problem {
	for _, p := range c.Problems {
		if p.Severity == Error {
			return p
		}
	}
	return nil
}

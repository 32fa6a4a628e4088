package convert

import (
	"strconv"
	"strings"

	"dovetail/formats/conf"
	"dovetail/formats/conf/variable"
	"dovetail/serve/config"
)

func itoa(n int) string { return strconv.Itoa(n) }

// isLocation tells whether a setting is a part of mail_location in 2.3.
func isLocation(name string) bool {
	if name == "mail_driver" || name == "mail_path" || name == "mailbox_directory_name_legacy" {
		return true
	}
	for _, k := range locationKeys {
		if k.key == name {
			return true
		}
	}
	return false
}

// joinLocation writes the parts of a location in one order. Parts that are
// defaults are left out.
func joinLocation(all []pair) string {
	set := map[string]string{}
	for _, p := range all {
		set[p.key] = p.value
	}
	out := colons(set["mail_path"])
	if d := set["mail_driver"]; d != "" {
		out = d + ":" + out
	}
	for _, k := range locationKeys {
		v := set[k.key]
		legacy := isYes(set["mailbox_directory_name_legacy"])
		switch {
		case v == "" || k.value == "" && v == config.Default24(k.key) && k.key != "mailbox_list_layout",
			k.key == "mailbox_list_layout" && set["mail_driver"] != "" && strings.EqualFold(v, layoutOf(all)):
		case k.old == "DIRNAME=" && !legacy, k.old == "FULLDIRNAME=" && legacy:
		case k.value == "":
			out += ":" + k.old + colons(v)
		case isYes(v) == isYes(k.value):
			out += ":" + k.old
		}
	}
	return out
}

func colons(s string) string { return strings.ReplaceAll(s, ":", "::") }

// location writes all parts of a location in the place of the first one.
func (d *down) location(n *conf.Node, it item) {
	scope := n.Parent
	own := sets(scope)
	var first *conf.Node
	for _, c := range scope.Children {
		if c.Kind == conf.Assign && isLocation(d.resolve(c).name) {
			first = c
			break
		}
	}
	if first != nil && first.Line != n.Line {
		d.put(n)
		return
	}
	place, key := variable.InStorage, "mail_location"
	if within(n) == "mailbox" || strings.HasSuffix(within(n), "/mailbox") {
		if it.name == "mail_driver" {
			d.put(n, d.assign("driver", n.Value))
			return
		}
		d.lose(n, "a mailbox has no location of its own")
		return
	}
	set := map[string]string{"mailbox_list_drop_noselect": "yes"} // the default of 2.4
	for k, v := range d.top {
		if isLocation(k) {
			set[k] = v
		}
	}
	for k, v := range own {
		if isLocation(k) {
			set[k] = v.Value
		}
	}
	if within(n) == "namespace" {
		key = "location"
		if d.shared(it) {
			place = variable.InSharedLocation
		}
	}
	var all []pair
	for k, v := range set {
		text, losses := to23(v, place)
		if len(losses) > 0 {
			d.lose(n, losses[0].Text+": "+losses[0].Why)
			return
		}
		all = append(all, pair{k, text})
	}
	value := joinLocation(all)
	switch {
	case value == "":
		d.put(n)
	case set["mail_driver"] == "" && set["mail_path"] == "":
		if value == ":NO-NOSELECT" {
			d.put(n) // the default of 2.4, which has no meaning without folders
			return
		}
		d.lose(n, "it is a part of mail_location, which is not set")
	default:
		d.put(n, d.assign(key, value))
	}
}

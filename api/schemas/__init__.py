"""What goes over the wire, a file for each kind of thing."""

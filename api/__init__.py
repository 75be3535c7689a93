"""Every face of Folioscope: command line, HTTP, MCP; composition happens here."""

"""Every face of Folioscope: command line, HTTP, MCP, web page; composition happens here."""

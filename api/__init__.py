"""Every face of Folioscope: today the command line; composition happens here."""

"""Reading the pages that were found: a draft with quotes, each checked against its page, boxed and drawn."""

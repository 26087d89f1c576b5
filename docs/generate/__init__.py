"""What the site has beyond the pages: texts made from the code, and links that lead out of docs."""

"""What people read about a takedown: the report and the certificate, each one self-contained HTML page."""

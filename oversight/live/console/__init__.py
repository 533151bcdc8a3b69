"""The console: pages for people in the loop and on the loop. NiceGUI lives here and next door."""

"""People in the loop, on the loop and in the classroom, in a browser or a terminal."""

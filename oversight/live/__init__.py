"""The review service: live people in the overseer's seat."""

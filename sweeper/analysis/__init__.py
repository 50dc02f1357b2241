"""What trained networks make of images: networks found by name, evaluated, explained, and set side by side."""

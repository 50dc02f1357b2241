"""What a network sees and confuses: images and predictions in, plain arrays out."""

"""What networks are asked, to classify or to predict a number, and how good their answers are."""

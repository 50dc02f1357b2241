"""The words that a report uses in a sense of their own."""

from sweeper.report.blocks import Listing

WORDS = {
    "space": "the choices that the search could make, in a file",
    "baseline": "the configuration to beat: the space's own, trained without a choice of the search",
    "train part": "images from which the networks of the search and the finalists learned",
    "validation images": "images that scored the trials and chose the champion",
    "confirm images": "images of the training files that chose nothing: they only estimate",
    "test images": "the data set's own test part, for the last look",
    "fresh seeds": "seeds that the search has not used, for a new start and order of training",
    "promotion": "trains the best trials and the baseline again with fresh seeds, and registers the winner",
    "finalists": "the configurations that a promotion trains again",
    "champion, challenger": "the finalists in first and second place, and their names in the model registry",
    "refitted": "trained once more, on all images of the study (train, validation and confirm)",
    "store": "the folder or servers where studies, runs and models are kept",
    "look": "one evaluation of networks on the test images",
    "ledger": "the store's list of all looks at test images",
    "undecided": "the difference may be chance; it does not mean that there is none",
}


def glossary() -> Listing:
    """The words with what they mean, one a line."""
    return Listing("Words of this page", "\n".join(f"{word}: {meaning}" for word, meaning in WORDS.items()))

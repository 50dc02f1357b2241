"""The words that a report uses in a sense of their own."""

from sweeper.report.blocks import Listing

WORDS = {
    "space": "the choices that the search could make, in a file",
    "baseline": "the configuration to beat: named in the space, not chosen by the search",
    "train part": "images from which the networks of the search and the finalists learned",
    "validation images": "images that scored the trials and chose the champion",
    "confirm images": "training images that were set aside and used for no choice, only for estimates",
    "test images": "the data set's own test part, or one set aside before the search, for the last look",
    "fresh seeds": "seeds that the search has not used, for other initial weights and another order of the images",
    "promotion": "trains the best trials and the baseline again with fresh seeds, and registers the winner",
    "finalist": "a configuration that a promotion trains again",
    "champion, challenger": "the finalists in first and second place, and their names in the model registry",
    "refitted": "trained once more, on all images of the study (train, validation and confirm)",
    "store": "the folder or servers where studies, runs and models are kept",
    "look, test evaluation": "one evaluation of networks on the test images",
    "ledger": "the store's list of all looks at test images",
    "seed": "the number that fixes a training's random draws, such as its initial weights and the order of the images",
    "interval": "the two numbers in brackets after an estimate: 95 of 100 intervals made like it hold the true value",
    "power": "how fine a comparison is: the true difference that four of five such comparisons would find",
    "undecided": "the difference may be chance; it does not mean that there is none",
}


def glossary() -> Listing:
    """The words with what they mean, one a line."""
    return Listing("Words of this page", "\n".join(f"{word}: {meaning}" for word, meaning in WORDS.items()))

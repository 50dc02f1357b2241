"""The fields of a training, with its augmentation."""

from dataclasses import dataclass

from sweeper import validators
from sweeper.config.fields import Checked, ruled

OPTIMIZERS = ("adam", "adamw", "sgd", "rmsprop")
# Of a space, not of a training: every configuration gets one of the others (models.precision).
AUTO = "auto"
PRECISIONS = ("float32", "tf32", "bfloat16", AUTO)
CLASS_WEIGHTS = ("none", "balanced")
SCHEDULES = ("constant", "step", "exponential", "cosine", "cyclic", "one_cycle")


@dataclass(frozen=True)
class AugmentConfig(Checked):
    """Augmentation, drawn anew for every training image in every epoch; `..._p` is an operation's probability.

    The names and meanings are those of torchvision's transforms; the defaults change nothing.
    """

    flip_p: float = ruled(0.0, validators.probability, "probability that an image is mirrored, left and right")
    rotation: float = ruled(0.0, validators.degrees, "largest angle, in both directions", "degrees")
    rotation_p: float = ruled(1.0, validators.probability, "probability that an image is rotated")
    translation: float = ruled(0.0, validators.share, "largest shift, in all four directions", "share of the side")
    crop_padding: int = ruled(
        0, validators.integer(0), "black around an image, from which a part of its size is then cropped", "pixels"
    )
    brightness: float = ruled(
        0.0,
        validators.strength,
        "strength: the factor of brightness is drawn from 1 - strength (at least 0) to 1 + strength",
    )
    contrast: float = ruled(
        0.0,
        validators.strength,
        "strength: the factor of contrast is drawn from 1 - strength (at least 0) to 1 + strength",
    )
    saturation: float = ruled(
        0.0,
        validators.strength,
        "strength: the factor of saturation is drawn from 1 - strength (at least 0) to 1 + strength",
    )
    jitter_p: float = ruled(1.0, validators.probability, "probability that brightness, contrast and saturation change")
    sharpness: float = ruled(2.0, validators.strength, "factor of sharpness: 0 blurs, 1 changes nothing")
    sharpness_p: float = ruled(0.0, validators.probability, "probability that sharpness changes")
    erasing_area: float = ruled(
        0.33, validators.positive_share, "largest area of the erased rectangle", "share of the image"
    )
    erasing_p: float = ruled(0.0, validators.probability, "probability that a rectangle is erased")
    mixup_alpha: float = ruled(
        0.0,
        validators.not_negative,
        "mixup (Zhang et al., 2018) with the next image of the batch, by a share from Beta(alpha, alpha); 0: off",
    )
    cutmix_alpha: float = ruled(
        0.0,
        validators.not_negative,
        "cutmix (Yun et al., 2019): pastes a rectangle of it, with a share from Beta(alpha, alpha); 0: off",
    )
    mix_p: float = ruled(
        1.0,
        validators.probability,
        "probability that an image is mixed; with both, mixup and cutmix each mix half of these",
    )


@dataclass(frozen=True)
class TrainConfig(AugmentConfig):
    """How a network is trained; the number of epochs belongs to the protocol."""

    optimizer: str = ruled("adam", validators.one_of(*OPTIMIZERS), "torch's optimizer")
    lr: float = ruled(1e-3, validators.positive, "learning rate: the highest of the schedule")
    momentum: float = ruled(0.0, validators.share, "momentum of sgd and rmsprop")
    nesterov: bool = ruled(False, validators.boolean, "whether sgd's momentum is Nesterov's")
    weight_decay: float = ruled(
        0.0,
        validators.not_negative,
        "adds weight_decay * w to the gradient, as a penalty of weight_decay / 2 * sum(w ** 2) does",
    )
    weight_decay_layers: tuple[str, ...] = ruled(
        (),
        validators.layer_names,
        "layers whose weights decay, biases left out; empty: every parameter decays, as in torch",
    )
    decoupled_weight_decay: bool = ruled(
        False,
        validators.boolean,
        "whether weights decay apart from the gradient, w *= 1 - lr * weight_decay; always for adamw",
    )
    schedule: str = ruled("constant", validators.one_of(*SCHEDULES), "how the learning rate changes over the training")
    step_size: int = ruled(5, validators.integer(1), "time between two steps of schedule step", "epochs")
    step_gamma: float = ruled(0.5, validators.factor, "factor of each step of schedule step")
    exponential_gamma: float = ruled(
        0.9, validators.factor, "factor per epoch of schedule exponential; epoch 15 has 0.9 ** 14 = 0.23 of lr"
    )
    warmup_epochs: int = ruled(0, validators.integer(0), "linear rise before the fall of schedule cosine", "epochs")
    cycle_start: float = ruled(
        0.04,
        validators.positive_share,
        "start of schedule one_cycle (Smith & Topin, 2019), and lowest rate of cyclic",
        "share of lr",
    )
    cycle_end: float = ruled(4e-6, validators.positive_share, "end of schedule one_cycle", "share of lr")
    cycle_rise: float = ruled(0.3, validators.share, "length of the rise of schedule one_cycle", "share of the steps")
    cycle_epochs: int = ruled(
        2,
        validators.integer(1),
        "length of each rise and each fall of schedule cyclic; Smith (2017) uses 2 to 10",
        "epochs",
    )
    cycle_momentum: bool = ruled(
        False,
        validators.boolean,
        "whether cyclic and one_cycle move momentum (adam, adamw: beta1) against the learning rate",
    )
    momentum_low: float = ruled(0.85, validators.positive_share, "momentum at the highest rate, with cycle_momentum")
    momentum_high: float = ruled(0.95, validators.positive_share, "momentum at the lowest rate, with cycle_momentum")
    ema_decay: float = ruled(
        0.0,
        validators.share,
        "decay of a moving average of the weights, which is validated and kept in place of the last; 0: off",
        "per step",
    )
    batch_size: int = ruled(64, validators.integer(1), "images of a step", "images")
    clip_norm: float = ruled(0.0, validators.not_negative, "largest norm of all gradients together; 0: not clipped")
    precision: str = ruled(
        "float32",
        validators.one_of(*PRECISIONS),
        "precision of a step's forward pass (tf32: of the step's matrix products, on a CUDA device); weights, their "
        "updates, losses and validation are always float32; auto: bfloat16 for networks of many multiply-adds on "
        "processors where it is faster, else float32",
    )
    label_smoothing: float = ruled(0.0, validators.share, "share of the target that is spread evenly over all classes")
    class_weights: str = ruled(
        "none",
        validators.one_of(*CLASS_WEIGHTS),
        "balanced, as in scikit-learn: the loss weighs n_images / (n_classes * n_images_of_the_class)",
    )
    patience: int = ruled(
        0,
        validators.integer(0),
        "epochs without a lower validation loss, after which the training stops; 0: off",
        "epochs",
    )
    aux_weight: float = ruled(
        0.3,
        validators.not_negative,
        "weight of each auxiliary head's loss; 0.3 as in GoogLeNet (Szegedy et al., 2015, section 5)",
    )
    freeze_epochs: int = ruled(
        0,
        validators.integer(0),
        "first epochs in which only the classifier trains, and batch norms keep their statistics",
        "epochs",
    )

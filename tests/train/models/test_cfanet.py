"""CFANet: attention by hand, its columns, its switches, and that it can learn."""

import pytest

torch = pytest.importorskip("torch")

from edgecount.errors import ConfigError  # noqa: E402
from edgecount.train.models import build_model  # noqa: E402
from edgecount.train.models.cfanet import Decoder, enlarged_convolution, refine  # noqa: E402


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_model("cfanet").eval()


@pytest.mark.parametrize(("height", "width"), [(32, 32), (16, 24)])
def test_four_densities_at_the_input_size_and_attention_at_four_sizes(network, height, width):
    with torch.no_grad():
        maps = network(torch.randn(1, 3, height, width))
    stages = maps.auxiliary["stages"]
    assert [tuple(stage.shape) for stage in stages] == [(1, 1, height, width)] * 4
    assert maps.density is stages[-1]
    sizes = [(height // s, width // s) for s in (8, 4, 2, 1)]
    assert [tuple(cam.shape) for cam in maps.auxiliary["cam_logits"]] == [(1, 1, *s) for s in sizes]
    assert [tuple(fam.shape) for fam in maps.auxiliary["fam_logits"]] == [(1, 6, *s) for s in sizes]


def test_the_output_is_a_density_times_50_at_stride_1(network):
    (output,) = network.outputs
    assert (output.role, output.stride, output.unit) == ("density", 1, 50.0)
    with torch.no_grad():
        maps = network(torch.randn(1, 3, 32, 32))
        (density,) = network.deploy(maps)
    torch.testing.assert_close(density, maps.density.clamp(min=0))


def test_residual_attention_by_hand():
    features = torch.tensor([[[[2.0, -4.0]], [[1.0, 3.0]]]])
    attention = torch.tensor([[[[0.5, 0.0]]]])
    expected = torch.tensor([[[[3.0, -4.0]], [[1.5, 3.0]]]])
    torch.testing.assert_close(refine(features, attention), expected)
    assert refine(features, None) is features
    torch.testing.assert_close(refine(features, torch.zeros(1, 1, 1, 2)), features)


def test_class_weights_run_from_0_for_the_background_to_1():
    network = build_model("cfanet", {"classes": 6})
    assert network.weights.flatten().tolist() == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])


@pytest.mark.parametrize("crr", [True, False])
def test_features_are_doubled_in_the_densest_class_and_left_in_the_background(crr):
    # The last regression sees F + A F, so that its answer (its bias is 0) grows by 1 + A.
    torch.manual_seed(0)
    network = build_model("cfanet", {"crr": crr}).eval()
    plain = build_model("cfanet", {"crr": False, "dle": False}).eval()
    plain.load_state_dict(network.state_dict(), strict=False)
    image = torch.randn(1, 3, 8, 8)

    def answer(class_of_stage):
        for fam, chosen in zip(network.fam, class_of_stage, strict=True):
            torch.nn.init.zeros_(fam.weight)
            fam.bias.data = torch.where(torch.arange(6) == chosen, 50.0, 0.0)
        with torch.no_grad():
            return network(image).density

    with torch.no_grad():
        alone = plain(image).density
    torch.testing.assert_close(answer((0, 0, 0, 0)), alone)
    torch.testing.assert_close(answer((0, 0, 0, 5)), 2.0 * alone)
    torch.testing.assert_close(answer((0, 0, 0, 2)), 1.4 * alone)


def test_coarse_attention_refines_the_level_estimator():
    torch.manual_seed(0)
    network = build_model("cfanet").eval()
    image = torch.randn(1, 3, 8, 8)

    def levels(logit):
        for cam in network.cam:
            torch.nn.init.zeros_(cam.weight)
            torch.nn.init.constant_(cam.bias, logit)
        with torch.no_grad():
            return network(image).auxiliary["fam_logits"][0]

    torch.testing.assert_close(levels(50.0), 2.0 * levels(-50.0))


def test_a_decoder_takes_the_tap_and_the_enlarged_stage_before():
    decoder = Decoder((8, 4, 2, 2))
    taps = [torch.randn(1, c, s, s) for c, s in ((512, 2), (256, 4), (128, 8), (64, 16))]
    features = None
    for index, tap in enumerate(taps):
        features = decoder.stage(index, tap, features)
    assert features.shape == (1, 2, 16, 16)
    assert [stage[0].in_channels for stage in decoder.stages] == [512, 264, 132, 66]


def test_columns_have_the_widths_and_dilations_of_the_paper(network):
    def widths(column):
        return [(stage[0].out_channels, stage[0].dilation[0]) for stage in column.stages]

    assert widths(network.crr) == [(256, 1), (128, 1), (128, 1), (64, 1)]
    assert widths(network.dle) == [(256, 1), (256, 1), (128, 1), (64, 1)]
    assert widths(network.dme) == [(512, 2), (256, 2), (256, 2), (64, 2)]
    assert [layer.kernel_size[0] for layer in network.regress] == [3, 3, 3, 1]
    convolutions = [x for x in network.features.modules() if isinstance(x, torch.nn.Conv2d)]
    assert len(convolutions) == 10


@pytest.mark.parametrize(("crr", "dle"), [(False, False), (True, False), (False, True)])
def test_switches_leave_out_their_maps(crr, dle):
    network = build_model("cfanet", {"crr": crr, "dle": dle, "classes": 4}).eval()
    with torch.no_grad():
        maps = network(torch.randn(1, 3, 16, 16))
    assert len(maps.auxiliary["stages"]) == 4
    assert len(maps.auxiliary["cam_logits"]) == 4 * crr
    assert [fam.shape[1] for fam in maps.auxiliary["fam_logits"]] == [4] * (4 * dle)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": 2}, r"model\.classes: expected 3 or more, got 2"),
        ({"supervised_stages": 0}, r"model\.supervised_stages: expected 1 to 4, got 0"),
        ({"supervised_stages": 5}, r"model\.supervised_stages: expected 1 to 4, got 5"),
        ({"expansion": 0.0}, r"model\.expansion: expected 0\.001 to 1000000, got 0"),
    ],
)
def test_options_that_make_no_sense(options, message):
    with pytest.raises(ConfigError, match=message):
        build_model("cfanet", options)


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_a_convolution_of_enlarged_features_is_what_it_says(factor):
    torch.manual_seed(0)
    layer = torch.nn.Conv2d(5, 1, 3, padding=1).double()
    features = torch.randn(2, 5, 3, 4, dtype=torch.float64)
    enlarged = torch.nn.functional.interpolate(
        features, scale_factor=float(factor), mode="bilinear", align_corners=False
    )
    torch.testing.assert_close(enlarged_convolution(features, layer, factor), layer(enlarged))


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_last_stages_are_supervised(network, number):
    made = build_model("cfanet", {"supervised_stages": number}).eval()
    made.load_state_dict(network.state_dict(), strict=False)
    image = torch.randn(1, 3, 16, 16)
    with torch.no_grad():
        given, whole = made(image), network(image)
    assert len(given.auxiliary["stages"]) == number
    assert len(given.auxiliary["cam_logits"]) == len(given.auxiliary["fam_logits"]) == 4
    for ours, theirs in zip(
        given.auxiliary["stages"], whole.auxiliary["stages"][-number:], strict=True
    ):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(given.density, whole.density)
    # the 3x3 convolutions that give no density: 512, 256 and 256 channels to 1
    left_out = [9 * 512 + 1, 9 * 256 + 1, 9 * 256 + 1][: 4 - number]
    assert sum(p.numel() for p in made.parameters()) == 17_975_200 - sum(left_out)


def test_the_expansion_is_the_unit_of_the_output():
    assert build_model("cfanet", {"expansion": 200.0}).outputs[0].unit == 200


def test_it_learns_a_density_from_its_gaussian_start():
    torch.manual_seed(0)
    network = build_model("cfanet", {"crr": False, "dle": False}).train()
    image, target = torch.randn(1, 3, 16, 16), torch.zeros(1, 1, 16, 16)
    target[..., 4:12, 4:12] = 1.0
    image[..., 4:12, 4:12] += 3.0
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-4)
    losses = []
    for _ in range(10):
        stages = network(image).auxiliary["stages"]
        loss = sum((stage - target).square().mean() for stage in stages)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_every_weight_gets_a_gradient_from_its_own_supervision():
    network = build_model("cfanet").train()
    auxiliary = network(torch.randn(1, 3, 16, 16)).auxiliary
    terms = auxiliary["stages"] + auxiliary["cam_logits"] + auxiliary["fam_logits"]
    sum(term.sum() for term in terms).backward()
    assert [name for name, p in network.named_parameters() if p.grad is None] == []
